"""What pages and the API show besides rows of the lake: of the register, of files, of processes; and their forms.

Queries of the lake are in queries/, and how an answer is written is in web/.
"""
