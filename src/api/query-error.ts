/** What was asked cannot be understood; the sentence says which part. */
export class QueryError extends Error {}
