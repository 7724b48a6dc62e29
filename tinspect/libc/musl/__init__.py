"""What musl (1.1.22 to 1.2.x, dynamic and static) knows about its threads."""
