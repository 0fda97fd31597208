import {
  coversFilter,
  isTopicName,
  matchesTopic,
  overlapsFilter,
  parseSubscription,
  parseTopicFilter,
  type TopicFilter,
} from './topic-filter.ts';
import { expandTemplate, type Template, type Variables } from './variables.ts';

/** What a role may do, as written. What nothing allows is denied, and a denial goes before everything that allows. */
export interface TopicRules {
  readonly publish: readonly Template[];
  readonly subscribe: readonly Template[];
  readonly deny: readonly Template[];
}

/** The rules of one client, with its values in them. */
export interface Permissions {
  readonly publish: readonly TopicFilter[];
  readonly subscribe: readonly TopicFilter[];
  readonly deny: readonly TopicFilter[];
}

/** A role's rules for one client; a text for people where one of them cannot be filled: then the client has none at all. */
export function fillTopicRules(
  rules: TopicRules,
  values: Variables,
): Permissions | { readonly fault: string } {
  const faults: string[] = [];
  const fill = (templates: readonly Template[]): TopicFilter[] =>
    templates.flatMap((template) => {
      const expanded = expandTemplate(template, values);
      const filter = 'text' in expanded ? parseTopicFilter(expanded.text) : undefined;
      if (filter) return [filter];
      faults.push('fault' in expanded ? expanded.fault : `${expanded.text} is no topic filter`);
      return [];
    });
  const permissions = {
    publish: fill(rules.publish),
    subscribe: fill(rules.subscribe),
    deny: fill(rules.deny),
  };
  const [fault] = faults;
  return fault === undefined ? permissions : { fault };
}

/** Whether the client may publish to the topic. */
export function mayPublish({ publish, deny }: Permissions, topic: string): boolean {
  if (!isTopicName(topic)) return false;
  return (
    publish.some((filter) => matchesTopic(filter, topic)) &&
    !deny.some((filter) => matchesTopic(filter, topic))
  );
}

/** Whether the client may subscribe to the filter, all that it matches being allowed and nothing of it denied. */
export function maySubscribe({ subscribe, deny }: Permissions, subscription: string): boolean {
  const asked = parseSubscription(subscription);
  if (!asked) return false;
  return (
    subscribe.some((filter) => coversFilter(filter, asked)) &&
    !deny.some((filter) => overlapsFilter(filter, asked))
  );
}

/** Whether a message to the topic may reach the client: one that its broker kept for it from before, too. */
export function mayReceive({ subscribe, deny }: Permissions, topic: string): boolean {
  return (
    subscribe.some((filter) => matchesTopic(filter, topic)) &&
    !deny.some((filter) => matchesTopic(filter, topic))
  );
}
