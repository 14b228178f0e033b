using Apache.Arrow;
using Apache.Arrow.Compression;
using Apache.Arrow.Ipc;
using OrtCpr.Data;
using OrtCpr.Graph;
using Parquet;
using Parquet.Schema;
using Field = Parquet.Schema.Field;

namespace OrtCpr.Tests.Tables;

/// <summary>Writes tables with the packages' own writers, and reads examples back.</summary>
internal static class TableWriting
{
    /// <summary>A Parquet file; each column says how it writes itself into a row group.</summary>
    internal static string ParquetFile(string path, int groups,
        params (Field Field, Func<ParquetRowGroupWriter, DataField, int, Task> Write)[] columns)
    {
        ParquetInto(File.Create(path), groups, columns).GetAwaiter().GetResult();
        return path;
    }

    private static async Task ParquetInto(Stream stream, int groups,
        (Field Field, Func<ParquetRowGroupWriter, DataField, int, Task> Write)[] columns)
    {
        await using Stream file = stream;
        var schema = new ParquetSchema(columns.Select(c => c.Field));
        DataField[] leaves = schema.GetDataFields();
        await using ParquetWriter writer = await ParquetWriter.CreateAsync(schema, file);
        for (int g = 0; g < groups; g++)
        {
            using ParquetRowGroupWriter group = writer.CreateRowGroup();
            for (int c = 0; c < columns.Length; c++) await columns[c].Write(group, leaves[c], g);
            group.CompleteValidate();
        }
    }

    /// <summary>A column of numbers; null elements make it nullable.</summary>
    internal static (Field, Func<ParquetRowGroupWriter, DataField, int, Task>) Column<T>(string name, params T?[][] groups)
        where T : struct => Column(name, groups.Any(g => g.Any(v => v is null)), groups);

    private static (Field, Func<ParquetRowGroupWriter, DataField, int, Task>) Column<T>(string name, bool nullable, T?[][] groups)
        where T : struct =>
        (new DataField(name, nullable ? typeof(T?) : typeof(T)), (writer, field, g) => nullable
            ? writer.WriteAsync<T>(field, groups[g]) : writer.WriteAsync<T>(field, groups[g].Select(v => v!.Value).ToArray()));

    /// <summary>A column of texts.</summary>
    internal static (Field, Func<ParquetRowGroupWriter, DataField, int, Task>) Column(string name, params string?[][] groups) =>
        (new DataField<string>(name), (writer, field, g) => writer.WriteAsync(field, groups[g]!));

    /// <summary>A column of lists; a null list is missing, a null element too.</summary>
    internal static (Field, Func<ParquetRowGroupWriter, DataField, int, Task>) Lists<T>(string name, params T?[]?[][] groups)
        where T : struct
    {
        return (new ListField(name, new DataField<T?>("element")), Write);

        Task Write(ParquetRowGroupWriter writer, DataField field, int group)
        {
            var values = new List<T>();
            var definitions = new List<int>();
            var repetitions = new List<int>();
            foreach (T?[]? list in groups[group])
            {
                if (list is null or { Length: 0 })
                {
                    definitions.Add(list is null ? 0 : 1);
                    repetitions.Add(0);
                    continue;
                }
                for (int i = 0; i < list.Length; i++)
                {
                    repetitions.Add(i == 0 ? 0 : 1);
                    definitions.Add(list[i] is null ? 2 : 3);
                    if (list[i] is T value) values.Add(value);
                }
            }
            return writer.WriteAllPartsAsync<T>(field, values.ToArray(), definitions.ToArray(), repetitions.ToArray(), default);
        }
    }

    /// <summary>An Arrow file or stream of record batches.</summary>
    internal static string Arrow(string path, IReadOnlyList<RecordBatch> batches, bool isFile = true, CompressionCodecType? codec = null)
    {
        using FileStream stream = File.Create(path);
        var options = new IpcOptions
        {
            CompressionCodec = codec,
            CompressionCodecFactory = codec is null ? null : new CompressionCodecFactory(),
        };
        using ArrowStreamWriter writer = isFile ? new ArrowFileWriter(stream, batches[0].Schema, false, options)
            : new ArrowStreamWriter(stream, batches[0].Schema, false, options);
        writer.WriteStart();
        foreach (RecordBatch batch in batches) writer.WriteRecordBatch(batch);
        writer.WriteEnd();
        return path;
    }

    /// <summary>A record batch of named arrays.</summary>
    internal static RecordBatch Batch(params (string Name, IArrowArray Values)[] columns)
    {
        var schema = new Schema(columns.Select(c => new Apache.Arrow.Field(c.Name, c.Values.Data.DataType, true)), null);
        return new RecordBatch(schema, columns.Select(c => c.Values), columns[0].Values.Length);
    }

    /// <summary>The numbers of an example.</summary>
    internal static double[] Example(DataSource source, string column, long row)
    {
        int index = source.Columns.ToList().FindIndex(c => c.Name == column);
        DataColumn found = source.Columns[index];
        byte[] bytes = new byte[found.Length * found.Type.BitsPerElement() / 8];
        source.Read(index, row, bytes);
        return TensorData.Create(found.Type, [.. found.Dimensions], bytes).ToDoubles();
    }

    /// <summary>A column of a source.</summary>
    internal static DataColumn Column(DataSource source, string name) => source.Columns.Single(c => c.Name == name);

    /// <summary>An error whose message has some parts.</summary>
    internal static void Refused<T>(Action action, params string[] parts) where T : OrtCprException
    {
        T error = Assert.ThrowsExactly<T>(action);
        foreach (string part in parts) StringAssert.Contains(error.Message, part);
    }
}
