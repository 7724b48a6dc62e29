"""What musl (1.1.22 to 1.2.6, dynamic and static) knows about its threads."""
