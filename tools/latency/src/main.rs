fn main() { println!("{}", floors::tsc()); }
