using System.Buffers;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace OrtCpr.Graph.Files;

/// <summary>A file that is kept open, whose parts are read when somebody looks at them. Owner of the handle.</summary>
/// <remarks>Every memory handed out holds on to this object, and the handle's finalizer closes the file, so nobody has to
/// dispose. What was read stays in memory until the garbage collector needs the room. A file that is replaced as a whole (a new
/// one under its name) goes on to be read as it was; one that is written into is refused when a part is read next.</remarks>
internal sealed class SourceFile
{
    private readonly SafeFileHandle _handle;
    private readonly DateTime _written;

    /// <exception cref="FileAccessException">The file can't be opened.</exception>
    internal SourceFile(string path)
    {
        Path = path;
        try
        {
            _handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            Length = RandomAccess.GetLength(_handle);
            _written = File.GetLastWriteTimeUtc(_handle);
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            throw FileAccessException.CannotRead(path, error);
        }
    }

    internal string Path { get; }

    /// <summary>Bytes in the file when it was opened.</summary>
    internal long Length { get; }

    /// <summary>Part of the file; the range must lie within it. Whoever looks at the memory may get a
    /// <see cref="FileAccessException"/>.</summary>
    internal ReadOnlyMemory<byte> Slice(long offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - length);
        return length == 0 ? default : new Part(this, offset, length).Memory;
    }

    private byte[] Read(long offset, int length)
    {
        try
        {
            if (RandomAccess.GetLength(_handle) != Length || File.GetLastWriteTimeUtc(_handle) != _written)
            {
                throw new FileAccessException($"'{Path}' was written to after it was read. Tensors that are not trained are read from "
                    + "it when they are needed. Put the file back as it was; a new version belongs into a file of its own, which may "
                    + "then take this name.");
            }
            byte[] bytes = GC.AllocateUninitializedArray<byte>(length);
            for (int read = 0; read < length;)
            {
                int more = RandomAccess.Read(_handle, bytes.AsSpan(read), offset + read);
                if (more == 0) throw new EndOfStreamException($"it ends in front of byte {offset + length}");
                read += more;
            }
            return bytes;
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            throw FileAccessException.CannotRead(Path, error);
        }
    }

    private sealed class Part(SourceFile file, long offset, int length) : MemoryManager<byte>
    {
        private readonly WeakReference<byte[]?> _read = new(null);

        public override Memory<byte> Memory => CreateMemory(length);

        public override Span<byte> GetSpan() => Bytes();

        public override unsafe MemoryHandle Pin(int elementIndex = 0)
        {
            var pinned = GCHandle.Alloc(Bytes(), GCHandleType.Pinned);
            return new MemoryHandle((byte*)pinned.AddrOfPinnedObject() + elementIndex, pinned);
        }

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
        }

        private byte[] Bytes()
        {
            if (_read.TryGetTarget(out byte[]? known)) return known;
            byte[] bytes = file.Read(offset, length);
            _read.SetTarget(bytes);
            return bytes;
        }
    }
}
