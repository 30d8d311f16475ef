/*
 * A disk that records itself: a FUSE file system with one file, `disk.img`, whose bytes are in memory.
 *
 *     recorded_disk record IMAGE LOG COUNTER MOUNTPOINT DELAY_MAX_US
 *         Serves IMAGE as MOUNTPOINT/disk.img. Each write, each begin and each end of a flush becomes an
 *         event of LOG; COUNTER holds the number of the newest one. A flush ends after a random time, so
 *         that other writes come in between. Prints `ready`, and ends at SIGTERM.
 *
 *     recorded_disk write-back DIRECTORY SEED
 *         Sends dirty pages of random files to their disk, at random moments, in no order and without a
 *         flush, as a system does that is short of memory. Ends at SIGTERM.
 *
 * An event is {number, kind, offset, length}, four 64-bit integers, and for a write its bytes. For the end
 * of a flush, offset is the number of its begin. Numbers are 1, 2, 3 and so on.
 */

#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITE = 1, FLUSH_BEGUN = 2, FLUSH_ENDED = 3 };
enum { FILE_INODE = 2, FILES_MAX = 4096, ROUNDS_OF_A_LIST = 20, PAUSE_MAX_US = 6000 };

struct event { uint64_t number, kind, offset, length; };
struct flush { fuse_req_t request; uint64_t begun; unsigned delay_us; };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char *image;
static uint64_t size;
static FILE *event_log;
static volatile uint64_t *counter;
static unsigned delay_max_us;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

/* Called with the mutex held. The counter moves before the caller answers the request. */
static uint64_t put(uint64_t kind, uint64_t offset, const void *bytes, uint64_t length) {
  struct event event = { *counter + 1, kind, offset, length };
  if (fwrite(&event, sizeof event, 1, event_log) != 1) fail("event log");
  if (length > 0 && fwrite(bytes, 1, length, event_log) != length) fail("event log");
  *counter = event.number;
  return event.number;
}

static void describe(fuse_ino_t inode, struct stat *status) {
  memset(status, 0, sizeof *status);
  status->st_ino = inode;
  status->st_nlink = inode == FILE_INODE ? 1 : 2;
  status->st_mode = inode == FILE_INODE ? S_IFREG | 0600 : S_IFDIR | 0700;
  if (inode == FILE_INODE) status->st_size = size;
}

static void on_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info) {
  struct stat status;
  (void)info;
  describe(inode, &status);
  fuse_reply_attr(request, &status, 3600);
}

static void on_setattr(fuse_req_t request, fuse_ino_t inode, struct stat *wanted, int fields,
                       struct fuse_file_info *info) {
  (void)wanted;
  (void)fields;
  on_getattr(request, inode, info);
}

static void on_lookup(fuse_req_t request, fuse_ino_t parent, const char *name) {
  struct fuse_entry_param entry;
  memset(&entry, 0, sizeof entry);
  if (parent != FUSE_ROOT_ID || strcmp(name, "disk.img") != 0) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  entry.ino = FILE_INODE;
  entry.attr_timeout = entry.entry_timeout = 3600;
  describe(FILE_INODE, &entry.attr);
  fuse_reply_entry(request, &entry);
}

static void on_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info) {
  (void)inode;
  info->direct_io = 1; /* no cache of the system may hide a write or change its order */
  fuse_reply_open(request, info);
}

static void on_read(fuse_req_t request, fuse_ino_t inode, size_t length, off_t offset,
                    struct fuse_file_info *info) {
  uint64_t at = offset;
  (void)inode;
  (void)info;
  if (at > size) at = size;
  if (length > size - at) length = size - at;
  fuse_reply_buf(request, image + at, length);
}

static void on_write(fuse_req_t request, fuse_ino_t inode, const char *bytes, size_t length,
                     off_t offset, struct fuse_file_info *info) {
  (void)inode;
  (void)info;
  if ((uint64_t)offset + length > size) {
    fuse_reply_err(request, ENOSPC);
    return;
  }
  pthread_mutex_lock(&mutex);
  memcpy(image + offset, bytes, length);
  put(WRITE, offset, bytes, length);
  pthread_mutex_unlock(&mutex);
  fuse_reply_write(request, length);
}

static void *end_flush(void *argument) {
  struct flush *flush = argument;
  usleep(flush->delay_us);
  pthread_mutex_lock(&mutex);
  put(FLUSH_ENDED, flush->begun, NULL, 0);
  pthread_mutex_unlock(&mutex);
  fuse_reply_err(flush->request, 0);
  free(flush);
  return NULL;
}

static void on_fsync(fuse_req_t request, fuse_ino_t inode, int data_only,
                     struct fuse_file_info *info) {
  struct flush *flush = malloc(sizeof *flush);
  pthread_t thread;
  (void)inode;
  (void)data_only;
  (void)info;
  if (flush == NULL) fail("malloc");
  flush->request = request;
  pthread_mutex_lock(&mutex);
  flush->begun = put(FLUSH_BEGUN, 0, NULL, 0);
  flush->delay_us = 200 + (delay_max_us > 0 ? rand() % delay_max_us : 0);
  pthread_mutex_unlock(&mutex);
  if (pthread_create(&thread, NULL, end_flush, flush) != 0) fail("thread");
  pthread_detach(thread);
}

/* The close of a descriptor, which promises nothing. */
static void on_flush(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info) {
  (void)inode;
  (void)info;
  fuse_reply_err(request, 0);
}

static void on_init(void *data, struct fuse_conn_info *connection) {
  (void)data;
  connection->max_write = 1 << 20;
  connection->max_background = 64;
}

static const struct fuse_lowlevel_ops operations = {
  .init = on_init, .lookup = on_lookup, .getattr = on_getattr, .setattr = on_setattr,
  .open = on_open, .read = on_read, .write = on_write, .fsync = on_fsync, .flush = on_flush,
};

static void *map(const char *path, uint64_t length) {
  int descriptor = open(path, O_RDWR | O_CREAT, 0600);
  if (descriptor < 0) fail(path);
  if (length == 0) {
    struct stat status;
    if (fstat(descriptor, &status) != 0) fail(path);
    length = size = status.st_size;
  } else if (ftruncate(descriptor, length) != 0) fail(path);
  void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (memory == MAP_FAILED) fail(path);
  close(descriptor);
  return memory;
}

static int record(char **arguments) {
  char *words[] = { "recorded_disk", NULL };
  struct fuse_args options = FUSE_ARGS_INIT(1, words);
  image = map(arguments[0], 0);
  event_log = fopen(arguments[1], "wb");
  if (event_log == NULL) fail(arguments[1]);
  setvbuf(event_log, NULL, _IOFBF, 4 << 20);
  counter = map(arguments[2], 4096);
  delay_max_us = strtoul(arguments[4], NULL, 10);
  struct fuse_session *session = fuse_session_new(&options, &operations, sizeof operations, NULL);
  if (session == NULL || fuse_set_signal_handlers(session) != 0) return 1;
  if (fuse_session_mount(session, arguments[3]) != 0) return 1;
  puts("ready");
  fflush(stdout);
  fuse_session_loop(session);
  fuse_session_unmount(session);
  pthread_mutex_lock(&mutex);
  return fclose(event_log) == 0 ? 0 : 1;
}

static char *files[FILES_MAX];
static int file_count;

static int note_file(const char *path, const struct stat *status, int kind, struct FTW *place) {
  (void)status;
  (void)place;
  if (kind == FTW_F && file_count < FILES_MAX) files[file_count++] = strdup(path);
  return 0;
}

static int write_back(char **arguments) {
  srand(strtoul(arguments[1], NULL, 10));
  for (unsigned round = 0;; round++) {
    if (round % ROUNDS_OF_A_LIST == 0) {
      while (file_count > 0) free(files[--file_count]);
      nftw(arguments[0], note_file, 16, FTW_PHYS);
    }
    int descriptor = file_count > 0 ? open(files[rand() % file_count], O_RDONLY) : -1;
    if (descriptor >= 0) {
      off_t end = lseek(descriptor, 0, SEEK_END);
      off_t from = end > 0 && rand() % 5 > 0 ? rand() % end & ~4095L : 0;
      off_t lengths[] = { 4096, 8192, 65536, 0 };
      sync_file_range(descriptor, from, lengths[rand() % 4], SYNC_FILE_RANGE_WRITE);
      close(descriptor);
    }
    usleep(rand() % PAUSE_MAX_US);
  }
}

int main(int count, char **words) {
  if (count == 7 && strcmp(words[1], "record") == 0) return record(words + 2);
  if (count == 4 && strcmp(words[1], "write-back") == 0) return write_back(words + 2);
  fputs("usage: see the head of recorded_disk.c\n", stderr);
  return 2;
}
