export function DeviceView(_props: { id: string }) {
  return null;
}
