"""converter.data"""
