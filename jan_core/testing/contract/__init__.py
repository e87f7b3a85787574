"""The contracts of the endpoints: what every implementation keeps, as tests that anybody can run on theirs.

`docs/contract/` says the same in prose, clause by clause.
"""
