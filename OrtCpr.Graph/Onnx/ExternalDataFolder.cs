using System.Security.Cryptography;
using OrtCpr.Graph.Files;

namespace OrtCpr.Graph.Onnx;

/// <summary>The folder of a model, from which its external data are read. Each file is opened once, on first use.</summary>
/// <remarks>Owner of the list of files, not of the files: each is open as long as a tensor points into it
/// (<see cref="SourceFile"/>). Dispose forgets the list; tensors read before stay valid. Nothing outside the folder is opened.</remarks>
internal sealed class ExternalDataFolder : IDisposable
{
    private readonly Dictionary<string, SourceFile> _files = new(StringComparer.Ordinal);
    private readonly HashSet<string> _verified = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();

    /// <param name="path">The folder that holds the model file; it may itself be reached through a link.</param>
    internal ExternalDataFolder(string path) => FolderPath = Path.GetFullPath(path.Length == 0 ? "." : path);

    internal string FolderPath { get; }

    /// <summary>Whether the file of a reference is there; links count as there, to be refused when they are read.</summary>
    internal bool Exists(ExternalDataReference reference) =>
        Path.Exists(PathOf(reference)) || new FileInfo(PathOf(reference)).LinkTarget is not null;

    /// <summary>Bytes of a tensor, without a copy.</summary>
    /// <param name="reference">A reference that parsed without a problem.</param>
    /// <param name="expected">Bytes that type and shape ask for.</param>
    /// <param name="bytes">The bytes, which are read from the file when they are looked at.</param>
    /// <returns>What is wrong, or null.</returns>
    internal string? Read(ExternalDataReference reference, long expected, out ReadOnlyMemory<byte> bytes)
    {
        bytes = default;
        if (reference.Length is long length && length != expected)
            return $"external data in '{reference.Location}': expected a length of {expected} bytes; found {length}";
        if (reference.Offset > long.MaxValue - expected)
        {
            return $"external data in '{reference.Location}': expected offset + length of at most {long.MaxValue}; found offset "
                + $"{reference.Offset}";
        }
        try
        {
            lock (_lock)
            {
                // Once it is open it is read as it was, whatever stands under its name since: a job may be exported over its own model.
                if (!_files.TryGetValue(reference.Location, out SourceFile? opened))
                {
                    if (Problem(reference, expected) is string refused)
                        return refused;
                    if (expected == 0)
                        return null;
                    _files.Add(reference.Location, opened = new SourceFile(PathOf(reference)));
                }
                if (CheckSum(reference, opened) is string problem)
                    return problem;
                if (opened.Length < reference.Offset + expected)
                    return TooShort(reference, expected, opened.Length);
                bytes = opened.Slice(reference.Offset, (int)expected);
                return null;
            }
        }
        catch (FileAccessException error)
        {
            return error.Message;
        }
    }

    public void Dispose()
    {
        lock (_lock)
            _files.Clear();
    }

    /// <summary>Why a file is not opened, or null. Before opening: a pipe or device has length 0, and opening it could wait for
    /// ever.</summary>
    private string? Problem(ExternalDataReference reference, long expected)
    {
        if (FindLink(reference) is string link)
            return $"external data: expected a plain file '{reference.Location}' in the model's folder; found '{link}' to be a link";
        FileInfo file = new(PathOf(reference));
        if (!file.Exists)
        {
            return $"external data: expected a file '{reference.Location}' in '{FolderPath}'; found "
                + (Directory.Exists(file.FullName) ? "a folder" : "none");
        }
        return file.Length < reference.Offset + expected ? TooShort(reference, expected, file.Length) : null;
    }

    private static string TooShort(ExternalDataReference reference, long expected, long found) =>
        $"external data in '{reference.Location}': needed {reference.Offset + expected} bytes " +
        $"(offset {reference.Offset} + length {expected}); found {found}";

    private string PathOf(ExternalDataReference reference) => Path.Combine(FolderPath, reference.Location.Replace('\\', '/'));

    /// <summary>The first part of the path below the folder that is a symbolic link or junction, or null.</summary>
    private string? FindLink(ExternalDataReference reference)
    {
        string path = FolderPath;
        foreach (string part in reference.Location.Split('/', '\\'))
        {
            path = Path.Combine(path, part);
            FileInfo info = new(path);
            if (info.LinkTarget is not null || (info.Exists && info.Attributes.HasFlag(FileAttributes.ReparsePoint)))
                return part;
        }
        return null;
    }

    private string? CheckSum(ExternalDataReference reference, SourceFile opened)
    {
        if (reference.Checksum is not string wanted || _verified.Contains(reference.Location))
            return null;
#pragma warning disable CA5350 // ONNX names SHA-1; it guards against mix-ups, not against attackers.
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
#pragma warning restore CA5350
        const int Chunk = 1 << 24;
        for (long offset = 0; offset < opened.Length; offset += Chunk)
            hash.AppendData(opened.Slice(offset, (int)Math.Min(Chunk, opened.Length - offset)).Span);
        string found = Convert.ToHexString(hash.GetHashAndReset());
        if (!found.Equals(wanted, StringComparison.OrdinalIgnoreCase))
            return $"external data in '{reference.Location}': expected the SHA-1 checksum {wanted}; found {found}";
        _verified.Add(reference.Location);
        return null;
    }
}
