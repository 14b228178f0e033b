using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>CIFAR-10 and CIFAR-100 in their binary form: records of one label byte (CIFAR-10) or two (CIFAR-100:
/// coarse, fine) and 3072 pixels, red, green, blue plane.</summary>
/// <remarks>Columns: <c>image</c> UInt8[3,32,32], <c>label</c> Int64 (of CIFAR-100 the fine one), and of CIFAR-100
/// <c>coarse_label</c>. Held in memory, 3 KB an image.</remarks>
internal sealed class CifarSource : DataSource
{
    private const int Pixels = 3 * 32 * 32;
    private readonly byte[][] _files;
    private readonly int[] _starts;
    private readonly int _labels;

    private CifarSource(byte[][] files, int labels)
    {
        _files = files;
        _labels = labels;
        _starts = new int[files.Length + 1];
        for (int i = 0; i < files.Length; i++) _starts[i + 1] = _starts[i] + (files[i].Length / (labels + Pixels));
        Columns = labels == 1 ? [new("image", ElementType.UInt8, [3, 32, 32]), new("label", ElementType.Int64, [], true)]
            : [new("image", ElementType.UInt8, [3, 32, 32]), new("label", ElementType.Int64, [], true),
                new("coarse_label", ElementType.Int64, [])];
    }

    /// <inheritdoc/>
    public override long Count => _starts[^1];

    /// <inheritdoc/>
    public override IReadOnlyList<DataColumn> Columns { get; }

    public static CifarSource OfFolder(string folder, bool training)
    {
        ArgumentNullException.ThrowIfNull(folder);
        string hundred = Path.Combine(folder, training ? "train.bin" : "test.bin");
        if (File.Exists(hundred)) return OfFiles([hundred], 100);
        string[] ten = [
            .. (training ? Enumerable.Range(1, 5).Select(i => $"data_batch_{i}.bin") : ["test_batch.bin"]).Select(f =>
                Path.Combine(folder, f))];
        string[] there = [.. ten.Where(File.Exists)];
        if (there.Length == ten.Length) return OfFiles(ten, 10);
        throw new DataFileException(there.Length > 0
            ? $"Folder '{folder}' lacks {string.Join(", ", ten.Except(there).Select(Path.GetFileName))} of CIFAR-10."
            : $"Folder '{folder}' has neither {Path.GetFileName(hundred)} (CIFAR-100, binary version) nor {Path.GetFileName(ten[0])} "
            + "(CIFAR-10, binary version). Unpack the binary version of the data set there.");
    }

    /// <summary>Files one after the other.</summary>
    /// <param name="paths">At least one; <c>.gz</c> is unpacked.</param>
    /// <param name="classes">10 or 100, which decides the form of a record.</param>
    public static CifarSource OfFiles(IReadOnlyList<string> paths, int classes)
    {
        ArgumentNullException.ThrowIfNull(paths);
        if (paths.Count == 0) throw new ArgumentException("Expected at least one file.", nameof(paths));
        if (classes is not (10 or 100)) throw new OptionException($"CIFAR with {classes} classes; expected 10 or 100.");
        int labels = classes == 10 ? 1 : 2;
        return new CifarSource([.. paths.Select(p => Checked(DataFile.ReadAll(p), p, labels, classes))], labels);
    }

    /// <inheritdoc/>
    public override void Read(int column, long row, Span<byte> target)
    {
        int file = Array.BinarySearch(_starts, (int)row);
        if (file < 0) file = ~file - 1;
        // Empty files share a start with the next.
        while (_starts[file + 1] <= row) file++;
        ReadOnlySpan<byte> record = _files[file].AsSpan((int)(row - _starts[file]) * (_labels + Pixels), _labels + Pixels);
        if (column == 0) record[_labels..].CopyTo(target);
        else BitConverter.TryWriteBytes(target, (long)record[column == 1 ? _labels - 1 : 0]);
    }

    private static byte[] Checked(byte[] bytes, string path, int labels, int classes)
    {
        int size = labels + Pixels;
        if (bytes.Length == 0 || bytes.Length % size != 0)
        {
            throw new DataFileException(
                $"'{path}', offset {bytes.Length / size * size}: expected records of {size} bytes (CIFAR-{classes}, binary version); "
                + $"found {bytes.Length} bytes, {bytes.Length % size} more than whole records. "
                + "The file is cut off, or is of another version.");
        }
        for (int at = 0; at < bytes.Length; at += size)
        {
            if (bytes[at + labels - 1] >= classes || (labels == 2 && bytes[at] >= 20))
            {
                throw new DataFileException(
                    $"'{path}', offset {at}: label {bytes[at + labels - 1]}{(labels == 2 ? $", coarse label {bytes[at]}" : "")}; "
                    + $"expected below {classes}{(labels == 2 ? " and below 20" : "")}. The file is of another data set or damaged.");
            }
        }
        return bytes;
    }
}
