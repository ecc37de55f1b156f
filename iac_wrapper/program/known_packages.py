"""Which Debian packages a requirement needs that pip and uv cannot install: one row each. Data.

From the projects' own installation pages; names that both Debian 12 and 13 have, or that a package
of theirs provides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """Debian packages of one requirement.

    `build` are headers and programs to compile it with, `final` are libraries and programs that it
    needs when it runs. `source` says when it is compiled: ``always`` (it has no wheel for Linux),
    ``never``, or ``asked`` (only where a requirements file says ``--no-binary``). Libraries that
    compiled modules are linked to are found in the build, and need no mention.
    """

    build: str = ""
    final: str = ""
    source: str = "never"
    unless: tuple[str, ...] = ()


def _always(build: str = "", final: str = "") -> Row:
    return Row(build, final, "always")


def _asked(build: str, final: str = "") -> Row:
    return Row(build, final, "asked")


def _runs(final: str, *unless: str) -> Row:
    return Row(final=final, unless=unless)


_CAIRO = _always("libcairo2-dev", "libcairo2")
_OPENCV = _runs("libgl1 libglib2.0-0")
_FFMPEG = _runs("ffmpeg")
_PANGO = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
_POSTGRES = _always("libpq-dev", "libpq5")
_MYSQL = _always("default-libmysqlclient-dev", "libmariadb3")
_LDAP = _always("libldap-dev libsasl2-dev")
_KERBEROS = _always("libkrb5-dev")
_XMLSEC = "libxml2-dev libxmlsec1-dev libxmlsec1-openssl"
_IMAGES = (
    "libjpeg62-turbo-dev zlib1g-dev libtiff-dev libfreetype-dev liblcms2-dev libwebp-dev"
    " libopenjp2-7-dev"
)

ROWS: Mapping[str, Row] = {
    # databases and directories
    "psycopg2": _POSTGRES,
    "psycopg-c": _POSTGRES,
    "psycopg[c]": _POSTGRES,
    "psycopg": _runs("libpq5", "psycopg-binary", "psycopg[binary]"),
    "mysqlclient": _MYSQL,
    "flask-mysqldb": _MYSQL,
    "pyodbc": Row("unixodbc-dev", "unixodbc", "asked"),
    "python-ldap": _LDAP,
    "django-auth-ldap": _LDAP,
    "gssapi": _KERBEROS,
    "pykerberos": _KERBEROS,
    "kerberos": _KERBEROS,
    "pysqlite3": _always("libsqlite3-dev"),
    "sqlcipher3": _always("libsqlcipher-dev"),
    "python-snappy": _asked("libsnappy-dev"),
    "pyicu": _always("libicu-dev"),
    # pictures, documents, fonts
    "pycairo": _CAIRO,
    "rlpycairo": _CAIRO,
    "reportlab[pycairo]": _CAIRO,
    "xhtml2pdf": _CAIRO,
    "cairosvg": _runs("libcairo2"),
    "cairocffi": _runs("libcairo2"),
    "weasyprint": _runs(_PANGO),
    "django-weasyprint": _runs(_PANGO),
    "opencv-python": _OPENCV,
    "opencv-contrib-python": _OPENCV,
    "ultralytics": _OPENCV,
    "deepface": _OPENCV,
    "paddleocr": _OPENCV,
    "pillow": _asked(_IMAGES),
    "pygraphviz": _always("libgraphviz-dev", "graphviz"),
    "graphviz": _runs("graphviz"),
    "pydot": _runs("graphviz"),
    "wand": _runs("imagemagick"),
    "pytesseract": _runs("tesseract-ocr"),
    "tesserocr": Row("libtesseract-dev libleptonica-dev", "tesseract-ocr", "asked"),
    "ocrmypdf": _runs("tesseract-ocr ghostscript"),
    "camelot-py": _runs("ghostscript"),
    "pdf2image": _runs("poppler-utils"),
    "pdftotext": _always("libpoppler-cpp-dev"),
    "pypandoc": _runs("pandoc", "pypandoc-binary"),
    "pyzbar": _runs("libzbar0"),
    "pylibdmtx": _runs("libdmtx0b"),
    "python-magic": _runs("libmagic1"),
    "gitpython": _runs("git"),
    "pyexiftool": _runs("libimage-exiftool-perl"),
    "lxml": _asked("libxml2-dev libxslt1-dev"),
    "xmlsec": _asked(_XMLSEC, "libxmlsec1-openssl"),
    "pysaml2": _runs("xmlsec1"),
    # maps
    "gdal": _always("libgdal-dev", "gdal-bin"),
    "pygdal": _always("libgdal-dev", "gdal-bin"),
    # sound and film
    "pydub": _FFMPEG,
    "ffmpeg-python": _FFMPEG,
    "python-ffmpeg": _FFMPEG,
    "ffmpy": _FFMPEG,
    "openai-whisper": _FFMPEG,
    "pyaudio": _always("portaudio19-dev", "libportaudio2"),
    "sounddevice": _runs("libportaudio2"),
    "python-vlc": _runs("libvlc5 vlc-plugin-base"),
    "pymediainfo": _runs("libmediainfo0v5"),
    "discord-py[voice]": _runs("ffmpeg libopus0"),
    # the system
    "uwsgi": _always(),
    "netifaces": _always(),
    "dlib": _always("cmake"),
    "face-recognition": _always("cmake"),
    "dbus-python": _always("libdbus-1-dev libglib2.0-dev"),
    "systemd-python": _always("libsystemd-dev"),
    "python-prctl": _always("libcap-dev"),
    "pycurl": _asked("libcurl4-openssl-dev libssl-dev"),
    "pyusb": _runs("libusb-1.0-0"),
    "pyenchant": _runs("libenchant-2-2"),
}
"""By canonical name, with an extra in brackets where only that needs something."""

BROWSER = "playwright"
"""Its browsers are no packages: it downloads and installs them itself."""

DEVELOPMENT: Mapping[str, str] = {
    "Python.h": "python3-dev",
    "ffi.h": "libffi-dev",
    "openssl/ssl.h": "libssl-dev",
    "openssl/opensslv.h": "libssl-dev",
    "openssl/err.h": "libssl-dev",
    "libpq-fe.h": "libpq-dev",
    "pg_config": "libpq-dev",
    "mysql.h": "default-libmysqlclient-dev",
    "mysql_config": "default-libmysqlclient-dev",
    "lber.h": "libldap-dev libsasl2-dev",
    "ldap.h": "libldap-dev libsasl2-dev",
    "sasl/sasl.h": "libsasl2-dev",
    "sql.h": "unixodbc-dev",
    "sqlite3.h": "libsqlite3-dev",
    "zlib.h": "zlib1g-dev",
    "zlib": "zlib1g-dev",
    "bzlib.h": "libbz2-dev",
    "lzma.h": "liblzma-dev",
    "jpeglib.h": "libjpeg62-turbo-dev",
    "png.h": "libpng-dev",
    "ft2build.h": "libfreetype-dev",
    "cairo": "libcairo2-dev",
    "cairo.h": "libcairo2-dev",
    "libxml/xmlversion.h": "libxml2-dev libxslt1-dev",
    "libxml/xpath.h": "libxml2-dev libxslt1-dev",
    "xslt-config": "libxml2-dev libxslt1-dev",
    "xmlsec1": "libxmlsec1-dev",
    "curl/curl.h": "libcurl4-openssl-dev",
    "curl-config": "libcurl4-openssl-dev libssl-dev",
    "krb5.h": "libkrb5-dev",
    "krb5-config": "libkrb5-dev",
    "gssapi/gssapi.h": "libkrb5-dev",
    "gdal-config": "libgdal-dev",
    "gdal.h": "libgdal-dev",
    "geos_c.h": "libgeos-dev",
    "proj.h": "libproj-dev",
    "graphviz/cgraph.h": "libgraphviz-dev",
    "portaudio.h": "portaudio19-dev",
    "alsa/asoundlib.h": "libasound2-dev",
    "cups/http.h": "libcups2-dev",
    "dbus/dbus.h": "libdbus-1-dev",
    "libusb.h": "libusb-1.0-0-dev",
    "snappy.h": "libsnappy-dev",
    "leveldb/db.h": "libleveldb-dev",
    "hdf5.h": "libhdf5-dev",
    "yaml.h": "libyaml-dev",
    "zmq.h": "libzmq3-dev",
    "sodium.h": "libsodium-dev",
    "gmp.h": "libgmp-dev",
    "sys/capability.h": "libcap-dev",
    "systemd/sd-daemon.h": "libsystemd-dev",
    "unicode/utypes.h": "libicu-dev",
    "icu-i18n": "libicu-dev",
    "magic.h": "libmagic-dev",
}
"""Debian packages for compiling, by the header, the program or pkg-config's name of it."""
