using System.Buffers;
using System.IO.MemoryMappedFiles;

namespace OrtCpr.Graph.Files;

/// <summary>A file mapped into memory for reading. Owner of the mapping.</summary>
/// <remarks>Every memory handed out holds on to this object, and the finalizer unmaps: the mapping lives exactly as long as
/// something points into it, and nobody has to dispose. Dispose unmaps at once; memory handed out then throws
/// <see cref="ObjectDisposedException"/>. A file that another process truncates while it is mapped kills the process on
/// access; that can't be caught.</remarks>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile? _file;
    private readonly MemoryMappedViewAccessor? _view;
    private byte* _start;

    /// <exception cref="FileAccessException">The file can't be opened or mapped.</exception>
    internal MappedFile(string path)
    {
        Path = path;
        try
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 1);
            Length = stream.Length;
            // An empty file has no mapping.
            if (Length == 0)
                return;
            _file = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None,
                leaveOpen: false);
            _view = _file.CreateViewAccessor(0, Length, MemoryMappedFileAccess.Read);
            _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
            _start += _view.PointerOffset;
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            throw FileAccessException.CannotRead(path, error);
        }
    }

    /// <summary>Runs before the handle's own (critical) finalizer, so the reference taken by AcquirePointer is given
    /// back in time.</summary>
    ~MappedFile() => Release();

    internal string Path { get; }

    /// <summary>Bytes in the file when it was opened.</summary>
    internal long Length { get; }

    /// <summary>Part of the file; the range must lie within it.</summary>
    internal ReadOnlyMemory<byte> Slice(long offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - length);
        return length == 0 ? default : new Window(this, offset, length).Memory;
    }

    public void Dispose()
    {
        Release();
        _file?.Dispose();
        _view?.Dispose();
        GC.SuppressFinalize(this);
    }

    private void Release()
    {
        if (_start == null)
            return;
        _start = null;
        _view!.SafeMemoryMappedViewHandle.ReleasePointer();
    }

    /// <summary>Memory that keeps its file mapped.</summary>
    private sealed class Window(MappedFile file, long offset, int length) : MemoryManager<byte>
    {
        public override Memory<byte> Memory => CreateMemory(length);

        public override Span<byte> GetSpan() => new(Start, length);

        public override MemoryHandle Pin(int elementIndex = 0) => new(Start + elementIndex, default, this);

        public override void Unpin()
        {
        }

        /// <summary>The mapping belongs to the file.</summary>
        protected override void Dispose(bool disposing)
        {
        }

        private byte* Start
        {
            get
            {
                ObjectDisposedException.ThrowIf(file._start == null, file);
                return file._start + offset;
            }
        }
    }
}
