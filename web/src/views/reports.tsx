export function ReportsView(_props: object) {
  return null;
}
