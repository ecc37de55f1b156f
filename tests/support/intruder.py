"""Programs that look for what is not theirs; each prints JSON."""

SCAN = """
import errno, json, resource, select, socket, sys
host, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ports = [int(n) for n in sys.argv[4].split(',')] if sys.argv[4:] else range(first, last + 1)
resource.setrlimit(resource.RLIMIT_NOFILE, (10000, 10000))
found = []
for begin in range(0, len(ports), 8000):
    waiting, poll = {}, select.epoll()
    for port in ports[begin:begin + 8000]:
        one = socket.socket()
        one.setblocking(False)
        if one.connect_ex((host, port)) == errno.EINPROGRESS:
            waiting[one.fileno()] = (one, port)
            poll.register(one, select.EPOLLOUT)
    while waiting and (ready := poll.poll(1.0)):
        for number, _ in ready:
            one, port = waiting.pop(number)
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                found.append(port)
            poll.unregister(number)
            one.close()
    for one, _ in waiting.values():
        one.close()
    poll.close()
print(json.dumps(sorted(found)))
"""
"""Which ports of a host take a connection: arguments are the host, the first and the last one, and
optionally a list in their place."""

INTRUDER = r"""
import ctypes, errno, http.client, json, os, socket, time
tried, own = {}, {}
libc = ctypes.CDLL(None, use_errno=True)
me, here = os.getpid(), os.getuid()

def reads(path, count=1):
    try:
        with open(path, 'rb') as file:
            return bool(file.read(count))
    except OSError:
        return False

def http_status(port, method, path, host='127.0.0.1', name='caller'):
    connection = http.client.HTTPConnection(host, port, timeout=3)
    try:
        connection.request(method, path, headers={'Host': name})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()

address = socket.gethostbyname(socket.gethostname())
for host in ('127.0.0.1', '127.0.0.64', address):
    for port in (9901, 15000, 15001, 15020, 15053):
        for method, path in (('GET', '/config_dump'), ('GET', '/certs'), ('GET', '/clusters'),
                             ('POST', '/quitquitquit'), ('POST', '/healthcheck/fail'),
                             ('POST', '/logging?level=debug'), ('GET', '/iac.sidecar/policy')):
            got = http_status(port, method, path, host)
            tried[f'{method} {path} at {host}:{port}'] = got == 200
tried['the sidecar of another service'] = http_status(
    15001, 'GET', '/iac.sidecar/policy', name='web') == 200
own['a call to another service'] = http_status(8080, 'GET', '/', 'web', 'web') == 200

for path in ('/run/envoy/admin.sock', '/run/envoy/control.sock', '/var/run/docker.sock'):
    tried[path] = os.path.exists(path)
with socket.socket(socket.AF_UNIX) as pair:
    pair.settimeout(1)
    try:
        pair.connect('\0iac-pair')
        pair.sendall(b'drain\n')
        tried['the word drain'] = pair.recv(10) != b''
    except TimeoutError:
        tried['the word drain'] = True
    except OSError:
        tried['the word drain'] = False

pids = [int(name) for name in os.listdir('/proc') if name.isdigit()]
others = [pid for pid in pids if os.stat(f'/proc/{pid}').st_uid != here or pid == 1]
for pid in others:
    for name in ('environ', 'mem', 'maps', 'auxv', 'stack', 'syscall'):
        tried[f'/proc/{pid}/{name}'] = reads(f'/proc/{pid}/{name}')
    for name in ('fd', 'root', 'map_files'):
        try:
            tried[f'/proc/{pid}/{name}'] = bool(os.listdir(f'/proc/{pid}/{name}'))
        except OSError:
            tried[f'/proc/{pid}/{name}'] = False
    for what, request in (('attach', 16), ('seize', 0x4206)):
        tried[f'ptrace {what} {pid}'] = libc.ptrace(request, pid, None, None) == 0
    try:
        os.kill(pid, 0)
        tried[f'signals to {pid}'] = True
    except PermissionError:
        tried[f'signals to {pid}'] = False
own['there are other processes'] = bool(others)
own['its own environment'] = reads(f'/proc/{me}/environ')
child = os.fork()
if not child:
    time.sleep(30)
    os._exit(0)
own['ptrace of its own child'] = libc.ptrace(0x4206, child, None, None) == 0
os.kill(child, 9)

facts = dict(line.split(':\t', 1) for line in open(f'/proc/{me}/status') if ':\t' in line)
for name in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
    tried[f'a capability in {name}'] = int(facts[name], 16) != 0
tried['new privileges'] = facts['NoNewPrivs'].strip() != '1'

files = 0
for top, folders, names in os.walk('/'):
    if top == '/':
        folders[:] = [name for name in folders if name not in ('proc', 'sys', 'dev')]
    for name in names:
        path = os.path.join(top, name)
        try:
            known = os.lstat(path)
        except OSError:
            continue
        files += 1
        if os.path.islink(path):
            continue
        if known.st_uid not in (0, here) and os.access(path, os.R_OK):
            tried[f'reads {path} of uid {known.st_uid}'] = True
        if known.st_uid != here and os.access(path, os.W_OK):
            tried[f'writes {path} of uid {known.st_uid}'] = True
        if name.endswith(('.key', '.pem', '.crt')) and reads(path):
            with open(path, 'rb') as file:
                if b'PRIVATE KEY' in file.read():
                    tried[f'the key {path}'] = True
tried['a file of others, or a key'] = False
own['its own source'] = reads('/app/main.py') or reads(os.path.join(os.getcwd(), 'main.py'))
print(json.dumps({'tried': tried, 'own': own, 'files': files}))
"""
"""Run in a program's container as its user: `tried` must all be false, `own` all true."""
