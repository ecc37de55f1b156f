"""``python3 -I -S /opt/iac/sidecar``: the image has this file beside a folder `runner`."""

import sys

from runner.sidecar.start import main

sys.exit(main())
