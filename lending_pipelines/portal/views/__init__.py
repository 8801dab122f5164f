"""Content of pages and the API that is not rows of the lake: data of the register, files, processes, and forms.

Queries of the lake are in queries/, and how an answer is written is in web/.
"""
