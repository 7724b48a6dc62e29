def detect_musl(target, symbols):
    return None
