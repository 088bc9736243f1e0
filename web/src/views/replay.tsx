export function ReplayView(_props: object) {
  return null;
}
