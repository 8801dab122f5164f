"""The files of the parcel that the channels deliver: a tape, its changes and its manifest."""

TAPE = b"loan_id,balance\nL-1,900.00\n"
FILES = {"tape.csv": TAPE, "tape.csv.changes.csv": b"change\n", "tape.csv.manifest.json": b"{}\n"}
