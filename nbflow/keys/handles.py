"""Values without content, by the names of their types: nothing is imported to recognise them.

Live handles (connections, clients, loggers, executors) do a task's work without being data: as an input of a step
they count by their type. Everything else here is used up by reading it, or means something only to this process.
"""

import abc

__all__ = ["live", "reaches", "spent"]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The first part of the module's name and the name of the class: libraries move classes among their modules.
_REACHING = {
    "database": _names("""
        aiomysql.Connection aiosqlite.Connection asyncpg.Connection asyncpg.Pool cassandra.Cluster
        cassandra.Session clickhouse_connect.Client clickhouse_driver.Client cx_Oracle.Connection
        duckdb.DuckDBPyConnection elasticsearch.Elasticsearch ibis.BaseBackend mysql.MySQLConnectionAbstract
        MySQLdb.Connection neo4j.Driver oracledb.Connection psycopg.AsyncConnection psycopg.Connection
        psycopg2.connection psycopg2.cursor psycopg_pool.ConnectionPool pymongo.Collection pymongo.Database
        pymongo.MongoClient pymysql.Connection pyodbc.Connection redis.Redis snowflake.SnowflakeConnection
        sqlalchemy.async_scoped_session sqlalchemy.AsyncEngine sqlalchemy.AsyncSession sqlalchemy.Connection
        sqlalchemy.Engine sqlalchemy.scoped_session sqlalchemy.Session sqlalchemy.sessionmaker
        sqlite3.Connection sqlite3.Cursor
    """),
    "network": _names("""
        aiohttp.ClientSession anthropic.Anthropic anthropic.AsyncAnthropic boto3.ServiceResource boto3.Session
        botocore.BaseClient google.Client http.HTTPConnection httpx.AsyncClient httpx.Client kafka.KafkaConsumer
        kafka.KafkaProducer openai.AsyncOpenAI openai.OpenAI paho.Client paramiko.SSHClient requests.Session
        smtplib.SMTP urllib3.PoolManager
    """),
    "": _names("""
        concurrent.Executor dask.Client distributed.Client logging.Handler logging.Logger logging.LoggerAdapter
        loguru.Logger multiprocessing.Pool pyspark.SparkContext pyspark.SparkSession structlog.BoundLoggerBase
        structlog.BoundLoggerLazyProxy
    """),
}
_LIVE = {name: kind for kind, names in _REACHING.items() for name in names}
_SPENT = {
    "a one-shot iterator": _names("builtins.async_generator builtins.coroutine builtins.generator"),
    "an open file": _names("""
        _io._IOBase h5py.HLObject io.IOBase mmap.mmap shelve.Shelf tarfile.TarFile tempfile.TemporaryDirectory
        tempfile._TemporaryFileWrapper xarray.AbstractDataStore xarray.BackendArray xarray.FileManager zarr.Array
        zarr.AsyncArray zarr.AsyncGroup zarr.Group zipfile.ZipFile
    """),
    "a part of a running process": _names("""
        _asyncio.Future _contextvars.Context _contextvars.ContextVar _contextvars.Token _queue.SimpleQueue
        _socket.socket _ssl._SSLContext _thread.RLock _thread._local _thread.lock asyncio.AbstractEventLoop
        asyncio.Future asyncio.Queue asyncio.Runner asyncio._LoopBoundMixin builtins.cell builtins.frame
        builtins.traceback concurrent.Future ipykernel.Kernel multiprocessing.BaseManager multiprocessing.BaseProcess
        multiprocessing.BaseProxy multiprocessing.ShareableList multiprocessing.SharedMemory
        multiprocessing._ConnectionBase queue.Queue select.epoll selectors.BaseSelector subprocess.Popen
        threading.Barrier threading.Condition threading.Event threading.Semaphore threading.Thread threading.local
        traitlets.HasTraits
    """),
    "a weak reference": _names("""
        _weakref.CallableProxyType _weakref.ProxyType _weakref.ReferenceType builtins.weakref
        weakref.CallableProxyType weakref.ProxyType weakref.ReferenceType weakref.WeakKeyDictionary weakref.WeakSet
        weakref.WeakValueDictionary weakref.finalize weakref.weakref
    """),
    "drawn under a new name each time": _names("pandas.Styler"),
    "a stand-in of a test": _names("unittest.NonCallableMock unittest._SentinelObject"),
}
_WHY = {name: why for why, names in _SPENT.items() for name in names}


def live(kind: type) -> str:
    """`"sqlite3.Connection"` for a type of live handles, `""` for any other."""
    return next((name for name in _short(kind) if name in _LIVE), "")


def reaches(name: str) -> str:
    """What a live handle, by the name that `live` gave, works on: `database`, `network`, or `""`, neither."""
    return _LIVE.get(name, "")


def spent(kind: type) -> str:
    """Why values of a type have no content, in words, or `""`."""
    for name in _short(kind):
        if name in _WHY:
            return _WHY[name]
    steps = ("__next__", "__anext__", "__await__")
    if any(step in vars(base) for base in kind.__mro__ if type(base) in (type, abc.ABCMeta) for step in steps):
        return "a one-shot iterator"
    return ""


def _short(kind: type) -> list[str]:
    return [f"{str(base.__module__).partition('.')[0]}.{base.__name__}" for base in kind.__mro__[:-1]]
