"""Authentication: sign-in, sessions, tokens, keys, rate limits, and protection against requests from other sites.

What a person may do is decided in policy.py, and which rows they see in lake/.
"""
