"""OpenAI's objects as pydantic models, a file or a folder per endpoint, described in our own words."""
