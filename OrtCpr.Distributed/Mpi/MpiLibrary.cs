using System.Runtime.InteropServices;
using System.Text;
using OrtCpr.Distributed.Launch;
using OrtCpr.Graph;

namespace OrtCpr.Distributed.Mpi;

/// <summary>The functions of an MPI library that are called, by address: Open MPI and MPICH take the same arguments, of which handles are
/// numbers of 64 or 32 bits.</summary>
internal sealed unsafe class MpiLibrary
{
    /// <summary>Names a library instead of the one that belongs to the launcher.</summary>
    public const string Variable = "ORTCPR_MPI";

    private const int ThreadSerialized = 2, TextLength = 8192;

    private readonly nint _library;
    private readonly MpiAbi _abi;
    private readonly delegate* unmanaged<nint, nint, int, nint, nint, nint, int> _allReduce;
    private readonly delegate* unmanaged<nint, nint, int, nint, nint, nint, int> _reduceScatter;
    private readonly delegate* unmanaged<nint, int, nint, nint, int, nint, nint, int> _allGather;
    private readonly delegate* unmanaged<nint, int, nint, int, nint, int> _broadcast;
    private readonly delegate* unmanaged<nint, int> _barrier;
    private readonly nint _float16Sum, _bfloat16Sum;

    private MpiLibrary(nint library, string path)
    {
        _library = library;
        Path = path;
        _abi = MpiAbi.Of(library);
        _allReduce = (delegate* unmanaged<nint, nint, int, nint, nint, nint, int>)Function("MPI_Allreduce");
        _reduceScatter = (delegate* unmanaged<nint, nint, int, nint, nint, nint, int>)Function("MPI_Reduce_scatter_block");
        _allGather = (delegate* unmanaged<nint, int, nint, nint, int, nint, nint, int>)Function("MPI_Allgather");
        _broadcast = (delegate* unmanaged<nint, int, nint, int, nint, int>)Function("MPI_Bcast");
        _barrier = (delegate* unmanaged<nint, int>)Function("MPI_Barrier");
        int isInitialized, provided;
        Check(((delegate* unmanaged<int*, int>)Function("MPI_Initialized"))(&isInitialized), "MPI_Initialized");
        if (isInitialized == 0)
        {
            Check(((delegate* unmanaged<nint, nint, int, int*, int>)Function("MPI_Init_thread"))(0, 0, ThreadSerialized, &provided),
                "MPI_Init_thread");
            IsOwner = true;
        }
        // Errors come back as numbers, and so as exceptions, instead of ending the process.
        Check(((delegate* unmanaged<nint, nint, int>)Function("MPI_Comm_set_errhandler"))(_abi.World, _abi.ErrorsReturn),
            "MPI_Comm_set_errhandler");
        int rank, size;
        Check(((delegate* unmanaged<nint, int*, int>)Function("MPI_Comm_rank"))(_abi.World, &rank), "MPI_Comm_rank");
        Check(((delegate* unmanaged<nint, int*, int>)Function("MPI_Comm_size"))(_abi.World, &size), "MPI_Comm_size");
        (Rank, Size) = (rank, size);
        _float16Sum = Operation(HalfSums.Float16);
        _bfloat16Sum = Operation(HalfSums.BFloat16);
    }

    public string Path { get; }

    public int Rank { get; }

    public int Size { get; }

    /// <summary>Whether MPI was started here, and so is ended here.</summary>
    private bool IsOwner { get; }

    /// <summary>Name and version, as the library tells them.</summary>
    public string Version
    {
        get
        {
            byte* text = stackalloc byte[TextLength];
            int length;
            int error = ((delegate* unmanaged<byte*, int*, int>)Function("MPI_Get_library_version"))(text, &length);
            return error == 0 ? Encoding.UTF8.GetString(text, length).Split('\n')[0].TrimEnd('\0') : Path;
        }
    }

    /// <summary>Loads the library that belongs to the launcher, and starts MPI.</summary>
    /// <exception cref="CollectiveException">There is none, or it does not belong to the launcher.</exception>
    public static MpiLibrary Open()
    {
        RankEnvironment launched = RankEnvironment.Current;
        string[] names = Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given ? [given] : launched.MpiLibraries;
        foreach (string name in names)
        {
            if (!NativeLibrary.TryLoad(name, out nint library)) continue;
            var mpi = new MpiLibrary(library, name);
            if (launched.Size <= 1 || mpi.Size == launched.Size) return mpi;
            throw new CollectiveException($"{launched.Launcher} started {launched.Size} processes, but '{name}' ({mpi.Version}) sees "
                + $"{mpi.Size}: it is not the library of that launcher. Set {Variable} to the libmpi that came with it.");
        }
        throw new CollectiveException($"No MPI library is found; looked for {string.Join(", ", names)}. Install Open MPI (Debian: apt-get "
            + "install openmpi-bin; or MPICH: apt-get install mpich) and start the program by its mpirun, or set "
            + $"{Variable} to the path of libmpi.");
    }

    public void AllReduce(nint address, int count, ElementType type) =>
        Check(_allReduce(_abi.InPlace, address, count, TypeOf(type), SumOf(type), _abi.World), "MPI_Allreduce");

    public void ReduceScatter(nint source, nint target, int count, ElementType type) =>
        Check(_reduceScatter(source, target, count, TypeOf(type), SumOf(type), _abi.World), "MPI_Reduce_scatter_block");

    public void AllGather(nint source, nint target, int bytes) =>
        Check(_allGather(source, bytes, _abi.Bytes, target, bytes, _abi.Bytes, _abi.World), "MPI_Allgather");

    public void Broadcast(nint address, int bytes, int root) =>
        Check(_broadcast(address, bytes, _abi.Bytes, root, _abi.World), "MPI_Bcast");

    public void Barrier() => Check(_barrier(_abi.World), "MPI_Barrier");

    public void Abort(int code) => ((delegate* unmanaged<nint, int, int>)Function("MPI_Abort"))(_abi.World, code);

    /// <summary>Waits for all ranks and ends MPI; there is no second start in a process.</summary>
    public void Finish()
    {
        int isFinished;
        Check(((delegate* unmanaged<int*, int>)Function("MPI_Finalized"))(&isFinished), "MPI_Finalized");
        if (IsOwner && isFinished == 0) Check(((delegate* unmanaged<int>)Function("MPI_Finalize"))(), "MPI_Finalize");
    }

    private nint TypeOf(ElementType type) => _abi.Types.TryGetValue(type, out nint known) ? known
        : throw new CollectiveException($"Tensors of {type} are not added by MPI; expected {string.Join(", ", _abi.Types.Keys)}.");

    private nint SumOf(ElementType type) => type switch
    {
        ElementType.Float16 => _float16Sum,
        ElementType.BFloat16 => _bfloat16Sum,
        _ => _abi.Sum,
    };

    private nint Operation(delegate* unmanaged[Cdecl]<ushort*, ushort*, int*, nint*, void> function)
    {
        nint operation = 0;
        Check(((delegate* unmanaged<nint, int, nint*, int>)Function("MPI_Op_create"))((nint)function, 1, &operation), "MPI_Op_create");
        return operation;
    }

    private nint Function(string name) => NativeLibrary.TryGetExport(_library, name, out nint address) ? address
        : throw new CollectiveException($"'{Path}' has no function {name}; expected an MPI library of version 3 or later.");

    private void Check(int error, string function)
    {
        if (error == 0) return;
        byte* text = stackalloc byte[TextLength];
        int length = 0;
        int second = ((delegate* unmanaged<int, byte*, int*, int>)Function("MPI_Error_string"))(error, text, &length);
        throw new CollectiveException($"{function} reports an error on rank {Rank} of {Size}: "
            + $"{(second == 0 ? Encoding.UTF8.GetString(text, length) : $"number {error}")}. If another rank has ended, its message says "
            + "why; start again and go on from the last checkpoint.");
    }
}
