"""From the report to titles, rows, severities and words; knows no terminal library."""
