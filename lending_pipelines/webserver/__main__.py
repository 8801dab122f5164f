"""`python -m lending_pipelines.webserver`: the web server, with the options of `dagster-webserver`."""

from lending_pipelines.webserver.server import main

if __name__ == "__main__":
    main()
