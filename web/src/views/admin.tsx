export function AdminView(_props: object) {
  return null;
}
