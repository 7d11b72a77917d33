// Of the targets that only own a precompiled header.
int main() { return 0; }
