// What is shown for an unknown address, and for a screen that failed.
import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { Compass } from "lucide-react";
import { buttonClass } from "./ui/button";
import { Empty, Failure } from "./ui/states";

export function NotFound() {
  return (
    <Empty
      icon={<Compass aria-hidden />}
      title="Page not found"
      action={
        <Link to="/" className={buttonClass("plain")}>
          Go to dashboard
        </Link>
      }
      className="py-24"
    >
      The link may be outdated or incomplete.
    </Empty>
  );
}

export function RouteFailure({ error, reset }: ErrorComponentProps) {
  return <Failure error={error} retry={reset} className="py-24" />;
}
