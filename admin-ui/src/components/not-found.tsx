// What is shown for an address that leads nowhere, and for a screen that broke.
import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { Compass } from "lucide-react";
import { buttonClass } from "./ui/button";
import { Empty, Failure } from "./ui/states";

export function NotFound() {
  return (
    <Empty
      icon={<Compass aria-hidden />}
      title="There is nothing at this address"
      action={
        <Link to="/" className={buttonClass("plain")}>
          To the dashboard
        </Link>
      }
      className="py-24"
    >
      The link may be old, or a part of it was lost on the way.
    </Empty>
  );
}

export function RouteFailure({ error, reset }: ErrorComponentProps) {
  return <Failure error={error} retry={reset} className="py-24" />;
}
