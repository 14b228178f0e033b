using System.Runtime.InteropServices;
using OrtCpr.Graph.Files;

namespace OrtCpr.Graph.OrtTraining;

// Reads "ODTC" files of version 1 and 2. The slots are those of ONNX Runtime's ort_training_checkpoint.fbs and ort.fbs.
internal static class OrtCheckpointReader
{
    public static OrtCheckpoint Read(ReadOnlyMemory<byte> bytes, string name, string? externalData)
    {
        var file = new FlatFile(bytes, name);
        if (!file.Span(4, 4).SequenceEqual(OrtCheckpointWriter.Identifier))
        {
            throw new CheckpointException($"'{name}' is no checkpoint of ONNX Runtime training: expected the identifier 'ODTC' at byte 4. "
                + "Pass the file that the training API saved as checkpoint.");
        }
        FlatTable root = file.Table(0);
        int version = root.Int32(0);
        if (version is not (1 or 2))
        {
            throw new CheckpointException($"Checkpoint '{name}' has version {version}; this version of OrtCpr reads 1 and 2. Save it again "
                + "with ONNX Runtime training 1.16 to 1.19.");
        }
        var tensors = new Tensors(file, name, externalData);
        FlatTable? module = root.Table(1);
        bool nominal = module?.Bool(2) ?? false;
        FlatTable[] trainable = [], frozen = [];
        if (module is FlatTable m)
        {
            trainable = m.Tables(0) ?? throw file.Damaged("its module state has no list of trained parameters");
            frozen = m.Tables(1) ?? throw file.Damaged("its module state has no list of frozen parameters");
        }
        var checkpoint = new OrtCheckpoint
        {
            Version = version,
            IsNominal = nominal,
            Trainable = [.. trainable.Select(t => tensors.Read(t, nominal))],
            Frozen = [.. frozen.Select(t => tensors.Read(t, nominal))],
            Groups = [.. (root.Tables(2) ?? []).Select(g => Group(g, file, tensors))],
            Properties = root.Table(3) is FlatTable bag ? Properties(bag, file) : new Dictionary<string, object>(),
        };
        RefuseDuplicates(file, "tensor", checkpoint.Trainable.Concat(checkpoint.Frozen).Select(t => t.Name));
        RefuseDuplicates(file, "optimizer group", checkpoint.Groups.Select(g => g.Name));
        return checkpoint;
    }

    private static OrtOptimizerGroup Group(FlatTable group, FlatFile file, Tensors tensors)
    {
        string name = group.Text(0) ?? throw file.Damaged("an optimizer group has no name");
        FlatTable[] states = group.Tables(3) ?? throw file.Damaged($"optimizer group '{name}' has no list of states");
        return new OrtOptimizerGroup(name, group.Int64(1), group.Single(2), [.. states.Select(s => State(s, file, tensors, name))]);
    }

    private static OrtParameterState State(FlatTable state, FlatFile file, Tensors tensors, string group)
    {
        string name = state.Text(0) ?? throw file.Damaged($"a state of optimizer group '{group}' has no parameter name");
        FlatTable[] momentums = state.Tables(1) ?? throw file.Damaged($"the state of '{name}' has no list of momentums");
        return new OrtParameterState(name, [.. momentums.Select(m => tensors.Read(m, nominal: false))]);
    }

    private static Dictionary<string, object> Properties(FlatTable bag, FlatFile file)
    {
        var found = new Dictionary<string, object>(StringComparer.Ordinal);
        Add(0, p => p.Int64(1));
        Add(1, p => p.Single(1));
        Add(2, p => p.Text(1) ?? throw file.Damaged($"the text property '{p.Text(0)}' has no value"));
        return found;

        void Add(int slot, Func<FlatTable, object> value)
        {
            foreach (FlatTable p in bag.Tables(slot) ?? [])
            {
                string name = p.Text(0) ?? throw file.Damaged("a property has no name");
                if (!found.TryAdd(name, value(p))) throw file.Damaged($"property '{name}' is there twice");
            }
        }
    }

    private static void RefuseDuplicates(FlatFile file, string what, IEnumerable<string> names)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (string name in names)
        {
            if (!seen.Add(name)) throw file.Damaged($"{what} '{name}' is there twice");
        }
    }

    private sealed class Tensors(FlatFile file, string checkpoint, string? externalData)
    {
        private MappedFile? _data;

        public OrtTensor Read(FlatTable table, bool nominal)
        {
            string name = table.Text(0) ?? throw file.Damaged("a tensor has no name");
            var type = (ElementType)table.Int32(3);
            if (nominal) return new OrtTensor(name, type, null, table.Text(1));
            long[] dims = table.Raw(2, 8) is ReadOnlyMemory<byte> raw ? MemoryMarshal.Cast<byte, long>(raw.Span).ToArray() : [];
            try
            {
                return new OrtTensor(name, type, Data(table, type, dims, name), table.Text(1));
            }
            catch (TensorDataException error)
            {
                throw new CheckpointException($"Tensor '{name}' of checkpoint '{checkpoint}' is damaged: {error.Message}", error);
            }
        }

        private TensorData Data(FlatTable table, ElementType type, long[] dims, string name)
        {
            if (type == ElementType.String) return TensorData.FromStrings(table.Texts(5) ?? [], dims);
            long offset = table.Int64(6, -1);
            if (offset < 0) return TensorData.Create(type, dims, table.Raw(4, 1) ?? default(ReadOnlyMemory<byte>));
            if (TensorLayout.Measure(type, dims, out _, out long size) is string problem) throw new TensorDataException($"{problem}.");
            if (externalData is null)
            {
                throw new CheckpointException($"Tensor '{name}' of checkpoint '{checkpoint}' is in another file, which a checkpoint in "
                    + "memory has not. Load it from its path.");
            }
            _data ??= new MappedFile(externalData);
            if (offset + size > _data.Length || offset + size < 0)
            {
                throw new CheckpointException($"Tensor '{name}' of checkpoint '{checkpoint}': expected {size} bytes at {offset} of "
                    + $"'{externalData}', which has {_data.Length}. The files do not belong together; copy both again.");
            }
            return TensorData.Create(type, dims, _data.Slice(offset, (int)size));
        }
    }
}
