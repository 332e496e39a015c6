"""What a reviewer uses: the bundle, and recorded runs run again with a certificate."""
