export class Keyspace {}
