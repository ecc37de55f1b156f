"""Certificates of public hosts from an ACME server (RFC 8555), proven by HTTP-01.

`acme` and `josepy`, the libraries of certbot, speak the protocol; here is what a tool adds to it:
an account that stays, orders that survive the process, waiting as long as the server says, and the
server's own words in errors.
"""
