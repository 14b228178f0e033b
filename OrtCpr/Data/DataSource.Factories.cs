using OrtCpr.Checkpoints;
using OrtCpr.Graph;

namespace OrtCpr.Data;

public abstract partial class DataSource
{
    /// <summary>Examples along the first axis of tensors in memory, a column a tensor.</summary>
    /// <param name="tensors">By column name; at least one, all of the same number of examples.</param>
    /// <exception cref="DataFileException">There is none, one is a scalar or of texts, or their numbers of examples differ.</exception>
    public static DataSource FromTensors(IReadOnlyDictionary<string, TensorData> tensors) => new TensorSource(tensors, "the tensors", null);

    /// <summary>A safetensors file, a column a tensor; they are read when they are used.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="SafetensorsException">It is no safetensors file.</exception>
    /// <exception cref="DataFileException">Its tensors are no examples.</exception>
    public static DataSource FromSafetensors(string path)
    {
        SafetensorsFile file = SafetensorsFile.Read(path);
        return new TensorSource(file.Tensors, $"'{path}'", file);
    }

    /// <summary>NumPy's <c>.npz</c>, a column an array, or <c>.npy</c>, one column of the file's name; numbers,
    /// little-endian, in C order.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="DataFileException">It breaks the format, or its arrays are no examples.</exception>
    public static DataSource FromNumpy(string path) => new TensorSource(NumpyFile.Read(path), $"'{path}'", null);

    /// <summary>A CSV file with a header line (RFC 4180), read into memory: columns <c>features</c> Float [number of
    /// features] and, where there is one, <c>label</c>, Int64 for a class and Float [1] for a number.</summary>
    /// <remarks>The features' names are in <see cref="DataColumn.ElementNames"/>, what the classes are in the file in
    /// <see cref="DataColumn.ClassNames"/>.</remarks>
    /// <param name="path">The file.</param>
    /// <param name="options">Columns; null for all as features.</param>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="DataFileException">A column is missing, a cell is empty or no number, a line has another number
    /// of cells. At most ten places are named.</exception>
    public static DataSource FromCsv(string path, CsvOptions? options = null) => CsvSource.OfFile(path, options ?? new CsvOptions());

    /// <summary>The training or test part of CIFAR-10 or CIFAR-100 in their binary form: <c>data_batch_1.bin …
    /// data_batch_5.bin</c> and <c>test_batch.bin</c>, or <c>train.bin</c> and <c>test.bin</c>, of a folder.</summary>
    /// <remarks>Columns: <c>image</c> UInt8 [3, 32, 32] (red, green, blue), <c>label</c> Int64 (of CIFAR-100 the fine
    /// one), and of CIFAR-100 <c>coarse_label</c>. Held in memory, 3 KB an image.</remarks>
    /// <param name="folder">Where the files are.</param>
    /// <param name="training">The training part; else the test part.</param>
    /// <exception cref="FileAccessException">A file can't be read.</exception>
    /// <exception cref="DataFileException">The folder has neither, or a file breaks the format.</exception>
    public static DataSource FromCifar(string folder, bool training) => CifarSource.OfFolder(folder, training);

    /// <summary>Images and their labels in IDX files, as MNIST has them: columns <c>image</c>, of the file's shape and
    /// type, and <c>label</c> Int64; <c>.gz</c> is unpacked.</summary>
    /// <param name="images">File of the images.</param>
    /// <param name="labels">File of the labels, one axis.</param>
    /// <exception cref="FileAccessException">A file can't be read.</exception>
    /// <exception cref="DataFileException">A file breaks the format, or their numbers of examples differ.</exception>
    public static DataSource FromIdx(string images, string labels) => IdxFile.ReadPair(images, labels);

    /// <summary>Windows of a stream of tokens for next-token training: <c>tokens</c> Int64 [length] and <c>labels</c>,
    /// the same one token on.</summary>
    /// <param name="tokens">At least 0 each; <see cref="TextTokens"/> makes them of a text. Copied.</param>
    /// <param name="length">Tokens of a window, at least 1.</param>
    /// <param name="stride">Tokens from one window to the next; 0 for <paramref name="length"/>: windows that do not
    /// overlap. Default 0.</param>
    /// <exception cref="DataFileException">They are too few for one window, or one is negative.</exception>
    public static DataSource FromTokens(IReadOnlyList<int> tokens, int length, long stride = 0) =>
        TokenSource.OfTokens(tokens, length, stride);

    /// <summary>Windows as of <see cref="FromTokens"/> of a <c>.bin</c> file of unsigned integers without a header, as
    /// nanoGPT and its kin write them. The file is mapped into memory, not read.</summary>
    /// <param name="path">The file.</param>
    /// <param name="length">Tokens of a window, at least 1.</param>
    /// <param name="stride">Tokens from one window to the next; 0 for <paramref name="length"/>. Default 0.</param>
    /// <param name="width">Bytes a token: 2 or 4. Default 2.</param>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="OptionException">The width is another.</exception>
    /// <exception cref="DataFileException">It is no whole number of tokens, or too short for one window.</exception>
    public static DataSource FromTokenFile(string path, int length, long stride = 0, int width = 2) =>
        TokenSource.OfFile(path, length, stride, width);
}
