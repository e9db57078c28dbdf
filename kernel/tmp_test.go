package kernel
import ("testing";"fmt";"time";"os";"closewait_exporter/closewait")
func TestTmp(t *testing.T){
 s,err:=NewScanner(Options{Engine:os.Getenv("ENG")})
 if err!=nil{t.Fatal(err)}
 tr:=closewait.NewTracker([]float64{1})
 fmt.Printf("%+v\n",s.Sight())
 for i:=0;i<4;i++{
 t0:=time.Now()
 snap,err:=s.Scan(t.Context())
 if err!=nil{t.Fatal(err)}
 t1:=time.Now()
 v:=tr.Update(snap)
 fmt.Println("scan",t1.Sub(t0),"update",time.Since(t1),len(snap.Sockets),snap.NetNS,snap.Denied,v.Sockets,len(v.Holders))
 for _,h:=range v.Holders{ fmt.Printf("%+v %d %v %v\n",h.Process,h.Total(),h.Oldest(v.Taken),h.Held.Services)}
 }
 for f,n:=range s.Faults(){ if n>0{fmt.Println(f,n)}}
}
