/**
 * A method whose code is brought in when it is first called: what builds searches takes a seventh of a second to load, and
 * a start should not wait for it.
 */
export function later<A, R>(load: () => Promise<(argument: A) => Promise<R>>): (argument: A) => Promise<R> {
  let loaded: Promise<(argument: A) => Promise<R>> | undefined;
  return async (argument) => {
    loaded ??= load();
    return (await loaded)(argument);
  };
}
