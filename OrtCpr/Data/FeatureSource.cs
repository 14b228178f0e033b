using System.Diagnostics;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Files;

namespace OrtCpr.Data;

/// <summary>What a model makes of the examples of another source, computed once and kept in a file: the features of a frozen body, on which
/// a head trains in milliseconds an epoch.</summary>
/// <remarks>Columns are the features, under the name of the model's output, and all columns of the other source that the model does not
/// take, such as labels. What is random in the other source is drawn once. The file is deleted with the source.</remarks>
public sealed class FeatureSource : DataSource
{
    private readonly SafeFileHandle _file;
    private readonly DataSource _source;
    private readonly int[] _kept;
    private readonly DataColumn[] _columns;

    private FeatureSource(SafeFileHandle file, DataSource source, int[] kept, DataColumn features)
    {
        _file = file;
        _source = source;
        _kept = kept;
        _columns = [features, .. kept.Select(i => source.Columns[i])];
    }

    /// <inheritdoc/>
    public override long Count => _source.Count;

    /// <inheritdoc/>
    public override IReadOnlyList<DataColumn> Columns => _columns;

    /// <summary>Computes the features of all examples, in evaluation form.</summary>
    /// <param name="model">Gives the features: the body that <c>ModelHead.Split</c> writes.</param>
    /// <param name="source">The examples. Its other columns are read through it, so it must live as long as the features.</param>
    /// <param name="loading">Batch size, transforms and columns. Order, shuffling and <see cref="DataLoaderOptions.DropLast"/> are not
    /// looked at: the features have the order of the source.</param>
    /// <param name="path">The file to keep them in, element size × width bytes an example; it must not exist.</param>
    /// <param name="output">The output; null for the model's first.</param>
    /// <param name="cancellation">Ends it between two batches, and nothing is left.</param>
    /// <exception cref="DataFileException">The examples do not fit the model, or their features differ in shape.</exception>
    /// <exception cref="FileAccessException">The file can't be written.</exception>
    public static FeatureSource Compute(ModelPredictor model, DataSource source, DataLoaderOptions loading, string path,
        string? output = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(loading);
        ArgumentNullException.ThrowIfNull(path);
        string name = output ?? model.Outputs[0];
        loading = loading with { Shuffle = false, Order = null, DropLast = false, SimilarLengths = 0 };
        int[] taken = [.. SlotTable.Match(source.Columns, model.Inputs, loading).Select(s => s.Index)];
        int[] kept = [.. Enumerable.Range(0, source.Columns.Count).Except(taken)];
        SafeFileHandle? file = null;
        try
        {
            FileGuard.Write(path, () => file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None,
                FileOptions.DeleteOnClose));
            DataColumn column = Write(model, new DataLoader(source, model.Inputs, loading), file!, path, name, cancellation);
            return new FeatureSource(file!, source, kept, column);
        }
        catch
        {
            file?.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override void Read(int column, long row, Span<byte> target)
    {
        if (column > 0)
        {
            _source.Read(_kept[column - 1], row, target);
            return;
        }
        int size = _columns[0].Size;
        for (int read = 0; read < size;)
        {
            int count = RandomAccess.Read(_file, target[read..size], (row * size) + read);
            if (count == 0) throw new DataFileException($"The features of example {row} are missing: the file has been cut.");
            read += count;
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _file.Dispose();
        base.Dispose(disposing);
    }

    private static DataColumn Write(ModelPredictor model, DataLoader loader, SafeFileHandle file, string path, string output,
        CancellationToken cancellation)
    {
        DataColumn? column = null;
        long at = 0, rows = 0;
        foreach (Batch batch in loader.Batches())
        {
            using (batch)
            {
                cancellation.ThrowIfCancellationRequested();
                using Prediction prediction = model.Predict(batch, output);
                TensorData features = Device.ReadOnHost(prediction[output]);
                DataColumn found = new(output, features.Type, [.. features.Dimensions.Skip(1)]);
                column ??= found;
                if (features.Dimensions.Count == 0 || features.Dimensions[0] != batch.Rows
                    || !found.Dimensions.SequenceEqual(column.Dimensions))
                {
                    throw new DataFileException(string.Create(CultureInfo.InvariantCulture,
                        $"'{output}' of the {batch.Rows} examples from example {rows} on is {features}; expected the shape [{batch.Rows}, ")
                        + $"{string.Join(", ", column.Dimensions)}] of the examples before. Features are kept where each example has "
                        + "one vector of the same width: pool tokens or pixels in front of the head.");
                }
                FileGuard.Write(path, () => RandomAccess.Write(file, features.Bytes.Span, at));
                at += features.Bytes.Length;
                rows += batch.Rows;
            }
        }
        Debug.Assert(column is not null && at == rows * column.Size, "a source has examples, and a loader gives each of them once");
        return column!;
    }
}
