//! The tag's door: whose pages it believes, how strictly it reads, and what becomes of what it is told.
