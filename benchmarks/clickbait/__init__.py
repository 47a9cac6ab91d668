"""A feed of clickbait: whose list satisfies more?"""
