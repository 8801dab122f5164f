"""Authentication: sign-in, sessions, tokens, keys, rate limits, and the headers and checks that keep other sites out.

What a person may do is decided in policy.py, and which rows they see in lake/.
"""
