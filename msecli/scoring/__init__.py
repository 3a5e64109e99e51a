"""From a request to a result: what joins the sources, the core, the engine and the outputs."""
