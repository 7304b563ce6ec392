"""converter.formats"""
