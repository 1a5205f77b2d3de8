// Called once from the other file: with link-time optimisation nothing is left of it.
int crossmill_other_file(int given) { return given * 2 + 2; }
