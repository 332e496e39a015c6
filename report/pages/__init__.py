"""From prose, tables and figures to files: the words that prose may use, the formats, the PDF, the journal's folder."""
