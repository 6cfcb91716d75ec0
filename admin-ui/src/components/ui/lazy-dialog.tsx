// Dialogs that are loaded when they first open: what the first screen rarely needs should not delay it.
import { type ComponentProps, lazy, Suspense } from "react";

const dialog = () => import("./dialog");
const LoadedDialog = lazy(() => dialog().then((module) => ({ default: module.Dialog })));
const LoadedConfirm = lazy(() => dialog().then((module) => ({ default: module.Confirm })));
const LoadedSheet = lazy(() => dialog().then((module) => ({ default: module.Sheet })));

export const LazyDialog = (props: ComponentProps<typeof LoadedDialog>) => (
  <Suspense>{props.open && <LoadedDialog {...props} />}</Suspense>
);
export const LazyConfirm = (props: ComponentProps<typeof LoadedConfirm>) => (
  <Suspense>{props.open && <LoadedConfirm {...props} />}</Suspense>
);
export const LazySheet = (props: ComponentProps<typeof LoadedSheet>) => (
  <Suspense>{props.open && <LoadedSheet {...props} />}</Suspense>
);
