/** States, and the steps from one to another. What is not in the table cannot happen. */
export type StateTable<State extends string, Step extends string> = Readonly<
  Record<State, Readonly<Partial<Record<Step, State>>>>
>

/** Every step of a table, for the tests and for the diagrams of the documentation. */
export function stepsOf<State extends string, Step extends string>(
  table: StateTable<State, Step>,
): ReadonlyArray<readonly [from: State, step: Step, to: State]> {
  return Object.entries(table).flatMap(([from, steps]) =>
    Object.entries(steps as Partial<Record<Step, State>>).map(
      ([step, to]) => [from as State, step as Step, to as State] as const,
    ),
  )
}
