"""Lists of loans as spreadsheets write them: read in one way only, or refused with every line that is wrong."""

from decimal import Decimal
from pathlib import Path

import pytest

from lending_pipelines.register import LoanList, RegisterError, read_loan_list


@pytest.fixture
def read(tmp_path: Path):
    def read(content: str | bytes) -> LoanList:
        path = tmp_path / "loans.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_loan_list(path)

    return read


@pytest.mark.parametrize(
    "text",
    [
        "L1\nL2\n\nL3",
        "loan_id\nL1\nL2\nL3\n",
        "\ufeffname,loan_id\nx,L1\ny, L2 \nz,L3\n",
        "Loan ID\r\nL1\r\nL2\r\nL3\r\n",
        "LoanId;branch\nL1;B\nL2;\n;\nL3;B\n",
        "branch\tloan number\nB\tL1\nB\tL2\nB\tL3",
        'sep=;\n"Loan No.";"x"\n"L1";"a;b"\n"L2";\n"L3"\n',
        "L1\rL2\rL3",
    ],
)
def test_ids_are_read_in_every_usual_dialect(read, text):
    assert list(read(text).prices.items()) == [("L1", None), ("L2", None), ("L3", None)]


def test_utf_16_is_read_by_its_mark(read):
    assert list(read("Loan ID\tPrice\nL1\t985,00\n".encode("utf-16")).prices.items()) == [("L1", Decimal(985))]


@pytest.mark.parametrize("header", ["purchase_price", "Purchase price", "price", "Price (EUR)", "PurchasePrice"])
def test_prices_are_read_under_their_usual_names(read, header):
    assert dict(read(f"{header},loan_id\n9800.00,L1\n,L2\n0,L3\n").prices) == {
        "L1": Decimal(9800),
        "L2": None,
        "L3": Decimal(0),
    }


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("985,00", "985"),
        ("985,5", "985.5"),
        ("1.234,56", "1234.56"),
        ("1 234 567,80", "1234567.80"),
        ("985.00", "985"),
        ("985", "985"),
    ],
)
def test_a_decimal_comma_is_read_where_columns_have_other_separators(read, written, amount):
    for separator in (";", "\t"):
        listed = read(f"loan_id{separator}price\nL1{separator}{written}\n")
        assert listed.prices["L1"] == Decimal(amount)


@pytest.mark.parametrize("written", ["1.234", "1,234", "1,234.56", "12.34.567,00", "-1,00", "1,5 EUR", "NaN"])
def test_an_amount_with_two_readings_or_none_is_refused(read, written):
    with pytest.raises(RegisterError, match=f"line 2: purchase_price '{written}'"):
        read(f"loan_id;price\nL1;{written}\n")


@pytest.mark.parametrize("price", ["1,5", "-1", "0.001", "NaN", "1e300", "9,800.00"])
def test_in_a_comma_file_a_price_has_a_decimal_point(read, price):
    with pytest.raises(RegisterError, match=f"line 3: purchase_price '{price}'"):
        read(f'loan_id,purchase_price\nL1,1\nL2,"{price}"\n')


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty: write one loan id per line"),
        (b"\n \n", "is empty: write one loan id per line"),
        (b"loan_id\n", "has a header but no loan ids"),
        (b"id,name\n1,x\n", "has no loan_id column; its first line is 'id,name'"),
        (b"L1;985\nL2;1000\n", "has no loan_id column; its first line is 'L1;985'"),
        (b"name,loan_id\nx,L1\ny\n", "line 3: the loan id is missing"),
        (b"loan_id,purchase_price\nL1,985,00\n", "line 2: 3 values, but the first line has 2"),
        (b"loan_id,purchase_pric\nL1,985\n", "column 'purchase_pric': did you mean 'purchase_price'"),
        (b"Loan ID,Loan number\nL1,1\n", "columns 'Loan ID', 'Loan number' could all be loan_id"),
        (b"loan_id\nL\x01\n", r"line 2: loan id 'L\\x01' has non-printable characters"),
        (b'loan_id\n"L1\n', "line 2: unexpected end of data"),
        (b"L1\nL\xff\n", "cannot be read: 'utf-8' codec"),
        (b"L\x001\x00", "is not a text file: save it as CSV UTF-8"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused(read, content, reason):
    with pytest.raises(RegisterError, match=reason):
        read(content)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RegisterError, match=r"nowhere\.txt cannot be read"):
        read_loan_list(tmp_path / "nowhere.txt")


def test_every_line_that_is_wrong_is_named_at_once(read, tmp_path):
    with pytest.raises(RegisterError) as refused:
        read("loan_id,price\nL1,5\nL1,5.00\nL1,6\nL2,x\n,3\nL3,1\nL3,\n")
    assert str(refused.value) == (
        f"loan list {tmp_path / 'loans.csv'}: line 4: loan L1 has purchase_price 6 here but 5 in line 2; "
        "line 5: purchase_price 'x' is not an amount: write it as 9800.00; line 6: the loan id is missing; "
        "line 8: loan L3 has purchase_price no price here but 1 in line 7"
    )


def test_of_many_faults_the_first_are_named_and_the_others_counted(read):
    with pytest.raises(RegisterError, match=r"line 21: purchase_price 'x' [^;]*; and 30 more$"):
        read("loan_id,price\n" + "".join(f"L{number},x\n" for number in range(50)))


def test_faults_found_elsewhere_are_named_with_their_lines(read):
    listed = read("loan_id\nL1\nL2\nL3\n")
    with pytest.raises(RegisterError, match=r"loans\.csv: line 2: no loan; line 4: no loan$"):
        listed.refuse({"L3": "no loan", "L1": "no loan"})
    listed.refuse({})
