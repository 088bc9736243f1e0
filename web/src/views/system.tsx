export function SystemView(_props: object) {
  return null;
}
