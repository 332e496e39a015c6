"""What `build.py check` looks at beside the numbers themselves, and how it tells what it found."""
